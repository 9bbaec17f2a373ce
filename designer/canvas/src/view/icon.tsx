import icons from "virtual:icons";

interface Props {
  name: string;
  size?: number;
  label?: string;
  className?: string;
}

/** A lucide icon; decoration unless it carries a label. Unknown names fall back to a box. */
export function Icon({ name, size = 16, label, className = "" }: Props) {
  const markup = icons[name] ?? icons.box ?? "";
  return (
    <svg
      className={`icon ${className}`}
      width={size}
      height={size}
      viewBox="0 0 24 24"
      role={label ? "img" : undefined}
      aria-label={label}
      aria-hidden={label ? undefined : true}
      // biome-ignore lint/security/noDangerouslySetInnerHtml: markup of our own build, see icons.ts
      dangerouslySetInnerHTML={{ __html: markup }}
    />
  );
}
