"""DataFrame to DataFrame, on the driver. Never imports torch, argparse or conf; takes values."""
