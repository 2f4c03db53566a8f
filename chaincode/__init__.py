"""The law: contracts, written against one narrow protocol so that every host runs them unchanged."""
