"""What every stage that is trained shares: batches, softmax losses, the loop over epochs, selection, checkpoints."""
