// What the page of a pair shows in place of a table's network, and besides: it runs last.

/** x float32 2 × 3 × 224 × 224 */
const inputWords = Object.entries(record.inputs).map(([name, { dtype, shape }]) => `${name} ${dtype} ${shape.join(" × ")}`).join("; ");

/** What of a pair was matched, how surely, and what was not. */
function matchingFacts() {
  const { layers, unmatched, weights, unmapped } = record.matching;
  const doubtful = layers.filter(({ confidence }) => confidence < 0.75).map(({ name, confidence }) => `${name} (${confidence})`);
  const left = (names) => names.join(", ") || "none";
  return facts({
    layers: layers.length,
    tensors: weights.length,
    doubtful: left(doubtful),
    "PyTorch's layers without a match": left(unmatched.torch),
    "PaddlePaddle's layers without a match": left(unmatched.paddle),
    "PyTorch's tensors without a match": left(unmapped.torch),
    "PaddlePaddle's tensors without a match": left(unmapped.paddle),
  });
}

const matchedLayers = "Two executions are aligned by kind of layer, shapes and order. “torch = paddle” names a layer of both, “into” before it what a function made for it. The confidence of a match is the share of the evidence that speaks for it.";

$("subject").firstElementChild.replaceWith(element("div", {}, ...terms([["Inputs", inputWords]])));
$("meaning").lastElementChild.replaceWith(element("div", {}, ...terms([["Matched layers", matchedLayers]])));
$("environment").prepend(...factCards({
  Matching: matchingFacts(),
  Pair: facts({ inputs: inputWords, "inputs' SHA-256": record.inputs_sha256, ...record.sides }),
}));
