"""The system of Rapp, Shin, Thomsen, Ferber, Halilaj, J Biomech 116:110229 (2021)."""
