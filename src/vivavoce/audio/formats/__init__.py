"""How recordings of each family of formats are looked through, one file a family; nothing is decoded here."""
