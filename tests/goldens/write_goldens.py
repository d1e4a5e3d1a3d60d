"""Writes the layer names of ResNet-50/101/152 in execution order, one file per depth.

An independent statement of the naming rules of the Paddle 1.x ResNets (PaddleClas
``release/static:ppcls/modeling/architectures/resnet.py``): nothing here comes from weight_port.
Run in this folder; a test compares its output with the files.
"""

from __future__ import annotations

from pathlib import Path

# Letters of the blocks, written out: 3, 4, 6, 3 blocks; 3, 4, 23, 3; 3, 8, 36, 3.
BLOCKS = {
    50: {2: "a b c", 3: "a b c d", 4: "a b c d e f", 5: "a b c"},
    101: {
        2: "a b c",
        3: "a b c d",
        4: "a b1 b2 b3 b4 b5 b6 b7 b8 b9 b10 b11 b12 b13 b14 b15 b16 b17 b18 b19 b20 b21 b22",
        5: "a b c",
    },
    152: {
        2: "a b c",
        3: "a b c d e f g h",
        4: "a b1 b2 b3 b4 b5 b6 b7 b8 b9 b10 b11 b12 b13 b14 b15 b16 b17 b18 b19 b20 b21 b22 b23 "
        "b24 b25 b26 b27 b28 b29 b30 b31 b32 b33 b34 b35",
        5: "a b c",
    },
}


def names(depth: int) -> list[str]:
    lines = ["conv1", "bn_conv1", "pool1"]
    for stage, letters in BLOCKS[depth].items():
        for letter in letters.split():
            # The shortcut is projected in the first block of a stage, which is called a.
            branches = ["2a", "2b", "2c"] + (["1"] if letter == "a" else [])
            for branch in branches:
                lines += [f"res{stage}{letter}_branch{branch}", f"bn{stage}{letter}_branch{branch}"]
            lines += [f"res{stage}{letter}"]
    return [*lines, "pool5", "fc"]


if __name__ == "__main__":
    for depth in BLOCKS:
        Path(f"resnet{depth}.txt").write_text("\n".join(names(depth)) + "\n")
