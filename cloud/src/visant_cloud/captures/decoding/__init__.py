"""Pictures are decoded in processes that can be killed, for strangers may have made them."""
