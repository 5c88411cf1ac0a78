package store

import "testing"

func TestSealerOpensOnlyItsOwnPlace(t *testing.T) {
	old, err := NewSealer([]string{"old"})
	if err != nil {
		t.Fatal(err)
	}
	sealed := old.Seal("dkim_keys|private|1", []byte("key"))

	rotated, err := NewSealer([]string{"new", "old"})
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := rotated.Open("dkim_keys|private|1", sealed); err != nil || string(plain) != "key" {
		t.Fatalf("an older secret opens: got %q, %v", plain, err)
	}
	if _, err := rotated.Open("dkim_keys|private|2", sealed); err == nil {
		t.Error("a value moved to another row opened")
	}
	sealed[len(sealed)-1] ^= 1
	if _, err := rotated.Open("dkim_keys|private|1", sealed); err == nil {
		t.Error("a changed value opened")
	}
	if _, err := rotated.Open("dkim_keys|private|1", nil); err == nil {
		t.Error("an empty value opened")
	}
}
