/** Puts the run page's canvas together. */
import type { Root } from "react-dom/client";
import { Api } from "./api/http.ts";
import { WorkflowApi } from "./api/workflow.ts";
import type { PageConfig } from "./config.ts";
import { EMPTY_CATALOGUE } from "./core/types.ts";
import { WatchApp } from "./view/watch/watch-app.tsx";

export async function startWatching(root: Root, config: PageConfig): Promise<void> {
  const api = new Api(config.base, config.csrf);
  const catalogue = await new WorkflowApi(api, config.workflow).catalogue().catch(() => EMPTY_CATALOGUE);
  root.render(<WatchApp config={config} api={api} catalogue={catalogue} />);
}
