package blob_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
	"time"

	"ticketgate/store"
	"ticketgate/store/blob"
)

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func TestFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "blobs")
	b, err := blob.Open("file:" + dir)
	if err != nil {
		t.Fatal(err)
	}
	one, two := hashOf("one"), hashOf("two")
	for _, hash := range []string{one, one, two} {
		if err := b.Put(t.Context(), hash, []byte(hash)); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := b.Get(t.Context(), one); err != nil || !bytes.Equal(got, []byte(one)) {
		t.Errorf("got %q, %v", got, err)
	}
	if err := os.WriteFile(filepath.Join(dir, one[:2], "notes.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	dead := filepath.Join(dir, one[:2], ".new-1")
	if err := os.WriteFile(dead, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(dead, long, long); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	err = b.List(t.Context(), func(hash string, mod time.Time) error {
		seen[hash] = time.Since(mod) < time.Hour
		return nil
	})
	if err != nil || len(seen) != 2 || !seen[one] || !seen[two] {
		t.Errorf("list %v, %v", seen, err)
	}
	if _, err := os.Stat(dead); !os.IsNotExist(err) {
		t.Errorf("an incomplete file of a dead process is there: %v", err)
	}
	for range 2 {
		if err := b.Delete(t.Context(), one); err != nil {
			t.Error(err)
		}
	}
	if has, err := b.Has(t.Context(), one); has || err != nil {
		t.Errorf("deleted, and there: %v", err)
	}
	if _, err := b.Get(t.Context(), one); !store.IsNotFound(err) {
		t.Errorf("get of what was deleted: %v", err)
	}
	for _, hash := range []string{"", "../../etc/passwd", one[:63] + "/", "AB" + one[2:]} {
		if err := b.Put(t.Context(), hash, nil); store.CodeOf(err) != store.CodeInternal {
			t.Errorf("put %q: %v", hash, err)
		}
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	for url, ok := range map[string]bool{
		"file:" + dir: true, "file://" + dir: true, "file:": false, "ftp://x/y": false, "file://elsewhere" + dir: false, dir: false,
	} {
		if _, err := blob.Open(url); (err == nil) != ok {
			t.Errorf("%s: %v", url, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "taken"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := blob.Open("file:" + filepath.Join(dir, "taken")); store.CodeOf(err) != store.CodeUnavailable {
		t.Errorf("a folder that is a file: %v", err)
	}
}
