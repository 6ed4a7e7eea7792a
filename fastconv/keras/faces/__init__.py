"""The modules in which names of Keras and TensorFlow are looked up before fastconv's own."""
