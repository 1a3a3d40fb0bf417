"""The connector for Lexicon Labs; begin reading at `capabilities`, which lists what is odd about it. It may import domain and upstreams."""
