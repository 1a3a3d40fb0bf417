"""The vocabulary that all layers share: plain records, ids, cursors, errors and the ChatSource protocol. It imports the standard library only."""
