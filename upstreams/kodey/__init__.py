"""The connector for Kodey.ai; begin reading at `capabilities`, which lists what is odd about it. It may import domain and upstreams."""
