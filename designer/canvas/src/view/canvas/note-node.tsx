import { type NodeProps, NodeResizer } from "@xyflow/react";
import { memo } from "react";
import { editNote } from "../../core/edits.ts";
import { snap } from "../../core/geometry.ts";
import { useDesigner } from "../designer.ts";
import { useChosen } from "../use-store.ts";
import type { NoteFlowNode } from "./nodes.ts";

export const NoteNode = memo(function NoteNode({ id, data, selected }: NodeProps<NoteFlowNode>) {
  const designer = useDesigner();
  const { note } = data;
  const writing = useChosen(designer.screen, (screen) => screen.renaming === id);
  const stop = (): void => {
    designer.editor.seal();
    designer.screen.update({ renaming: null });
  };
  return (
    <div className="note">
      <NodeResizer
        isVisible={selected && !designer.editor.readOnly}
        minWidth={120}
        minHeight={48}
        onResizeEnd={(_, box) =>
          designer.run((doc) =>
            editNote(doc, note.key, { at: snap([box.x, box.y]), size: snap([box.width, box.height]) }),
          )
        }
      />
      {writing ? (
        <textarea
          className="note-text nodrag nopan nowheel"
          aria-label="Text of the note"
          value={note.text}
          ref={(area) => area?.focus()}
          onChange={(event) => designer.run((doc) => editNote(doc, note.key, { text: event.target.value }))}
          onBlur={stop}
          onKeyDown={(event) => {
            event.stopPropagation();
            if (event.key === "Escape") stop();
          }}
        />
      ) : (
        <div className="note-text">{note.text || "Double-click to write"}</div>
      )}
    </div>
  );
});
