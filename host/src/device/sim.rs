//! A private simulator: started for this host, ending with it.
