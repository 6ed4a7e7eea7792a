"""Training, evaluation and prediction: batch, epoch, fit."""
