"""Files that come with codeclm: sample seeds and the configuration that `codeclm init` writes."""
