declare module "virtual:icons" {
  /** SVG drawing commands by lucide name. */
  const icons: Record<string, string>;
  export default icons;
}
