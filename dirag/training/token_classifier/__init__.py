"""Token classifiers: an encoder and a layer of labels, trained on the sentences of annotated corpora."""
