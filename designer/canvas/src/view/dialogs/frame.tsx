import { type ReactNode, useEffect, useId, useRef } from "react";
import { Icon } from "../icon.tsx";

interface Props {
  title: string;
  wide?: boolean;
  bare?: boolean;
  onClose(): void;
  children: ReactNode;
}

/** A native modal dialog: focus is kept inside, Escape and a click beside it close it. */
export function DialogFrame({ title, wide = false, bare = false, onClose, children }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const before = document.activeElement;
    dialog.current?.showModal();
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
    };
  }, []);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape closes it natively
    <dialog
      ref={dialog}
      className={`dialog ${wide ? "dialog-wide" : ""} ${bare ? "dialog-bare" : ""}`}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => event.target === dialog.current && onClose()}
    >
      <header className={bare ? "visually-hidden" : "dialog-head"}>
        <h2 id={id}>{title}</h2>
        {!bare && (
          <button type="button" className="icon-button" aria-label="Close" onClick={onClose}>
            <Icon name="x" />
          </button>
        )}
      </header>
      {children}
    </dialog>
  );
}
