import { selectedSteps } from "../../core/editor.ts";
import { isContainer } from "../../core/nesting.ts";
import { mayPutInto } from "../../core/rules.ts";
import { found } from "../../core/search.ts";
import type { Step } from "../../core/types.ts";
import { useDesigner } from "../designer.ts";
import { tryPutInto } from "../nesting.ts";
import { SearchList } from "../panels/listbox.tsx";
import { DialogFrame } from "./frame.tsx";
import { StepRow, stepTexts } from "./search.tsx";

/** Moving into a container by keyboard: only those are offered that can take the selection. */
export function IntoDialog({ onClose }: { onClose(): void }) {
  const designer = useDesigner();
  const { document } = designer.editor;
  const keys = new Set(selectedSteps(designer.editor.get()));
  const [first = ""] = keys;
  const here = designer.frames.nesting.parent(first);
  const offered = document.steps.filter(
    (step) => isContainer(step) && step.key !== here && mayPutInto(document, keys, step.key).ok,
  );
  return (
    <DialogFrame title="Move into a container" onClose={onClose}>
      <SearchList<Step>
        label="Into which container"
        placeholder="Into which container?"
        empty={
          offered.length
            ? "No container matches."
            : "There is no container to move this into. Group it in a new one with Ctrl+G."
        }
        items={(query) => found(offered, query, stepTexts)}
        idOf={(step) => step.key}
        row={(step) => <StepRow step={step} />}
        onPick={(step) => {
          onClose();
          tryPutInto(designer, keys, step.key);
          requestAnimationFrame(() => designer.canvas?.focus(first));
        }}
        onCancel={onClose}
      />
    </DialogFrame>
  );
}
