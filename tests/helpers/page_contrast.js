// Of the page's visible text: how many elements have some, and which have a contrast under 4.5,
// as https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio defines it. Run as a function's body.

const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
const known = new Map();
const channels = (color) => {
  if (!known.has(color)) {
  context.clearRect(0, 0, 1, 1);
  context.fillStyle = color;
  context.fillRect(0, 0, 1, 1);
  known.set(color, [...context.getImageData(0, 0, 1, 1).data]);
  }
  return known.get(color);
};
const over = ([r, g, b, a], under) =>
  [r, g, b].map((c, i) => (c * a + under[i] * (255 - a)) / 255);
const ground = (node) => {
  if (!node) return [255, 255, 255];
  const color = channels(getComputedStyle(node).backgroundColor);
  return color[3] === 255 ? color.slice(0, 3) : over(color, ground(node.parentElement));
};
const luminance = (color) => {
  const [r, g, b] = color.map((c) => c / 255)
  .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (node) => {
  const style = getComputedStyle(node);
  const under = ground(node);
  const ink = over(channels(node instanceof SVGElement ? style.fill : style.color), under);
  const [light, dark] = [luminance(ink), luminance(under)].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
};
const hasText = (node) => [...node.childNodes].some((c) => c.nodeType === 3 && c.data.trim());
const seen = [...document.body.querySelectorAll("*")]
  .filter((node) => node.checkVisibility() && hasText(node));
return [seen.length, seen.filter((node) => contrast(node) < 4.5)
  .map((node) => `${node.tagName} ${node.textContent}: ${contrast(node).toFixed(2)}`)];
