// The source of this page: the tables in it if there are any, else the server that it came from.

import { ModelSource } from "./model.js";
import { ServerSource } from "./source.js";

export const theSource = async () => {
  const data = document.getElementById("model");
  if (!data) return new ServerSource(!document.querySelector('meta[name="pipeline-file"]'));
  const packed = Uint8Array.from(atob(data.textContent.trim()), (character) => character.charCodeAt(0));
  const text = new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip")));
  return new ModelSource(await text.json());
};
