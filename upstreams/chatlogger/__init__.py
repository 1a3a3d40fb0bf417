"""The connector for ChatLogger; begin reading at `capabilities`, which lists what is odd about it. It may import domain and upstreams."""
