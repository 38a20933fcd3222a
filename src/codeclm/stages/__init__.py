"""The method's stages, each a plain async function over records. They know models only as clients."""
