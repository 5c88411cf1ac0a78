package sqlite_test

import (
	"path/filepath"
	"testing"

	"ticketgate/store"
	"ticketgate/store/storetest"
)

func BenchmarkUpdate(b *testing.B) {
	storetest.BenchmarkUpdate(b, func(b *testing.B) *store.DB {
		return open(b, filepath.Join(b.TempDir(), "t.db"), store.Options{})
	})
}
