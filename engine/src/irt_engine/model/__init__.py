"""The model of the responses: parameters, priors, the latent distribution's nodes, and lines between scales."""
