package postgres_test

import (
	"testing"

	"ticketgate/deploy/testbed"
	"ticketgate/store"
	"ticketgate/store/storetest"
)

func BenchmarkUpdate(b *testing.B) {
	server := testbed.SharedPostgres(b)
	storetest.BenchmarkUpdate(b, func(b *testing.B) *store.DB {
		return open(b, server.NewDatabase(b), store.Options{})
	})
}
