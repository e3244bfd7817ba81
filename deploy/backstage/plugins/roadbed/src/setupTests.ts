import { configure } from '@testing-library/react';
import '@testing-library/jest-dom';

// Forms scroll to their top with each page, and jsdom only says that it cannot.
window.scrollTo = () => {};

// axe looks for icon fonts with a canvas, which jsdom has not; without one it leaves that check out.
HTMLCanvasElement.prototype.getContext = () => null;

// Whole pages take their time on a busy machine; what never comes fails all the same.
jest.setTimeout(60_000);
configure({ asyncUtilTimeout: 10_000 });
