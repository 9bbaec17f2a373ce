import { useDesigner } from "../designer.ts";
import { useChosen } from "../use-store.ts";
import { ImportDialog } from "./import.tsx";
import { IntoDialog } from "./into.tsx";
import { PublishDialog } from "./publish.tsx";
import { RunDialog } from "./run.tsx";
import { CommandDialog, ConnectDialog, FindDialog, HelpDialog } from "./search.tsx";

const DIALOGS = {
  help: HelpDialog,
  commands: CommandDialog,
  find: FindDialog,
  connect: ConnectDialog,
  into: IntoDialog,
  publish: PublishDialog,
  run: RunDialog,
  import: ImportDialog,
};

export function Dialogs() {
  const designer = useDesigner();
  const open = useChosen(designer.screen, (screen) => screen.dialog);
  if (!open) return null;
  const Open = DIALOGS[open];
  return <Open onClose={() => designer.screen.update({ dialog: null })} />;
}
