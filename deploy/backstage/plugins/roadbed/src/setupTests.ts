import '@testing-library/jest-dom';

// axe looks for icon fonts with a canvas, which jsdom has not; without one it leaves that check out.
HTMLCanvasElement.prototype.getContext = () => null;
