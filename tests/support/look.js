// What a person would see of the page that is open.
(() => {
  const channels = (colour) => colour.match(/[\d.]+/g).map(Number);
  const luminance = (colour) => {
    const [r, g, b] = channels(colour).slice(0, 3).map((channel) => {
      const part = channel / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  // The nearest colour behind an element; those of this page are opaque or absent.
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      const alpha = channels(colour)[3] ?? 1;
      if (alpha === 1) return colour;
      if (alpha !== 0) throw new Error(`half transparent: ${colour}`);
    }
    throw new Error('nothing is behind the page');
  };
  const contrast = (element) => {
    const [dark, light] = [luminance(getComputedStyle(element).color), luminance(behind(element))].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const texts = [];
  const nodes = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (nodes.nextNode()) {
    const text = nodes.currentNode.textContent.trim();
    const element = nodes.currentNode.parentElement;
    if (text && element.checkVisibility()) {
      texts.push({ text, contrast: contrast(element), size: parseFloat(getComputedStyle(element).fontSize) });
    }
  }
  const width = document.documentElement.clientWidth;
  const sticksOut = (element) => {
    const box = element.getBoundingClientRect();
    return box.left < 0 || box.right > width || element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0;
  };
  return {
    title: document.title,
    headings: [...document.querySelectorAll('h1')].map((heading) => heading.innerText),
    heading_ends: document.querySelector('h1').getBoundingClientRect().bottom,
    text: document.body.innerText,
    source: document.documentElement.outerHTML,
    window: width,
    content: document.documentElement.scrollWidth,
    sticking_out: [...document.body.querySelectorAll('*')].filter(sticksOut).map((element) => element.outerHTML.slice(0, 200)),
    background: luminance(getComputedStyle(document.body).backgroundColor),
    texts,
  };
})()
