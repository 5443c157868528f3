"""Other denoisers as priors: networks in files, folders of diffusers without a VP schedule, functions."""
