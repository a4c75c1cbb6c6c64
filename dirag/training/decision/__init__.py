"""The weights of the ensemble, fitted to sentences of development splits, with figures of folds."""
