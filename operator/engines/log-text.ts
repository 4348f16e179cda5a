/** Characters of one text of a log; what follows is left out, with a mark. A collector of logs rarely takes more in a line. */
export const longestText = 16 * 1024;

export function shortened(text: string, wasCut = false): string {
  if (text.length > longestText) return `${text.slice(0, longestText)}… [${text.length - longestText} more characters]`;
  return wasCut && text.length === longestText ? `${text}…` : text;
}
