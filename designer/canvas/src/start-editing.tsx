/** Puts the editor together: here page, API, core and views meet. */
import type { Root } from "react-dom/client";
import { DraftSync } from "./api/draft-sync.ts";
import { Api } from "./api/http.ts";
import { localCopy } from "./api/local-copy.ts";
import { WorkflowApi } from "./api/workflow.ts";
import type { PageConfig } from "./config.ts";
import { Editor } from "./core/editor.ts";
import { normalise } from "./core/types.ts";
import { Designer } from "./view/designer.ts";
import { EditApp } from "./view/edit-app.tsx";
import { Trouble } from "./view/panels/trouble.tsx";

/** Below this width the canvas is there to be read. */
const NARROW = "(max-width: 719px)";

export async function startEditing(root: Root, config: PageConfig): Promise<void> {
  const api = new WorkflowApi(new Api(config.base, config.csrf), config.workflow);
  try {
    const [draft, catalogue] = await Promise.all([api.draft(), api.catalogue()]);
    const readOnly = !config.may.edit || matchMedia(NARROW).matches;
    const editor = new Editor(normalise(draft.document), readOnly);
    const sync = new DraftSync(editor, draft, api, localCopy(config.workspace, config.workflow));
    const designer = new Designer(config, editor, sync, api, catalogue);
    designer.live.set(draft.live_version);
    designer.setProblems(draft.problems, editor.document);
    sync.onProblems = (problems, document) => designer.setProblems(problems, document);
    root.render(<EditApp designer={designer} />);
  } catch (error) {
    root.render(
      <Trouble message={(error as Error).message} onRetry={() => void startEditing(root, config)} />,
    );
  }
}
