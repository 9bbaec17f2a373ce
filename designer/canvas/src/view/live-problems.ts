/** Problems while drawing: asks 250 ms after the last edit, and drops the question when a newer one comes. */
import type { Designer } from "./designer.ts";

const ASK_AFTER = 250;

export function watchProblems(designer: Designer): () => void {
  let seen = designer.editor.document;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let asking: AbortController | null = null;
  const ask = async (): Promise<void> => {
    asking?.abort();
    const mine = new AbortController();
    asking = mine;
    const { document } = designer.editor;
    try {
      const { problems } = await designer.api.problems(document, mine.signal);
      if (document === designer.editor.document) designer.setProblems(problems, document);
    } catch {
      // Unreachable or superseded: the next edit or the next save brings the problems again.
      if (asking === mine) designer.found.update({ checking: false });
    }
  };
  const stop = designer.editor.subscribe(() => {
    if (designer.editor.document === seen) return;
    seen = designer.editor.document;
    designer.found.update({ checking: true });
    clearTimeout(timer);
    timer = setTimeout(() => void ask(), ASK_AFTER);
  });
  return () => {
    stop();
    clearTimeout(timer);
    asking?.abort();
  };
}
