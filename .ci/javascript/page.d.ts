/** What the page and Gradio hand to our scripts, and looser types for what we look up by selector. */

/** From markup.page_scripts(). */
declare const facts: {
  strings: Record<string, Record<string, string>>;
  labels: string[];
  colors: string[];
  unsure: string;
  notSure: string;
  calm: string;
  faint: number;
  crop: number;
  lines: number[];
  frameSide: number;
  page: string;
};

/** From Gradio: the component, its server functions, and what calls us when its value changes. */
declare const element: HTMLElement;
declare const server: Record<string, (payload: object) => Promise<any>>;
declare function watch(property: string, changed: () => void): void;

interface Window {
  /** What the shared scripts offer to the tabs' scripts; what is not named here goes unchecked. */
  emotionPage: Record<string, any> & Partial<{
    language: typeof language;
    say: typeof say;
    translate: typeof translate;
    verdict: typeof verdict;
    fillBars: typeof fillBars;
    drawFaces: typeof drawFaces;
    Camera: typeof Camera;
    Stage: typeof Stage;
    Why: typeof Why;
    Card: typeof Card;
    Many: typeof Many;
    Footage: typeof Footage;
    request: typeof request;
    fit: typeof fit;
  }>;
}

// Our own markup is where a selector finds what it is meant to find.
interface ParentNode {
  querySelector(selector: string): any;
  querySelectorAll(selector: string): NodeListOf<any>;
}
interface HTMLCollection {
  [index: number]: any;
}
