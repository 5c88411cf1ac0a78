package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"ticketgate/gateway/carddav"
	"ticketgate/threading"
)

// bookPause is the time between two looks at whether the address books are to be
// read.
const bookPause = 15 * time.Second

// The results that are counted of readings of address books, and of their cards.
var (
	bookResults = []string{"read", "failed"}
	cardResults = []string{"added", "changed", "unchanged", "refused"}
)

// openBooks makes what reads address books, where some are configured; startJobs
// runs it.
func (d *Daemon) openBooks() error {
	client, err := openCardDAV(d.config)
	if client == nil || err != nil {
		return err
	}
	d.end.pushClose("address books", func() error { client.Close(); return nil })
	d.books = carddav.NewSource(carddav.Options{
		Client: client, DB: d.core.DB, Threading: d.core.Threading, Refresh: d.config.Contacts.Refresh,
		Now: d.opt.Now, Log: d.log, Observe: d.metrics.readBooks,
	})
	return nil
}

// openCardDAV gives the client of the address books' server, nil where none is
// configured.
func openCardDAV(c *Config) (*carddav.Client, error) {
	if c.Contacts.CardDAV.IsZero() {
		return nil, nil
	}
	client, err := carddav.NewClient(carddav.ClientOptions{URL: c.Contacts.CardDAV.Reveal()})
	if err != nil {
		return nil, fmt.Errorf("contacts.carddav: %w", err)
	}
	return client, nil
}

// readBooks reads the address books when they are due, until ctx ends. The store
// holds when that is, and lets one node at a time do so.
func readBooks(ctx context.Context, books *carddav.Source, log *slog.Logger) {
	for ok := books != nil; ok; ok = wait(ctx, bookPause) {
		if err := books.Round(ctx); err != nil && ctx.Err() == nil {
			log.Warn("reading the address books", "err", err)
		}
	}
}

// readBooks counts a reading of the address books.
func (m *metrics) readBooks(done threading.Imported, failed error) {
	result := "read"
	if failed != nil {
		result = "failed"
	}
	m.bookRounds.WithLabelValues(result).Inc()
	for i, n := range []int{done.Added, done.Changed, done.Unchanged, len(done.Refused)} {
		m.bookCards.WithLabelValues(cardResults[i]).Add(float64(n))
	}
}

// addressBooks looks for the address books. That they can't be found is no error:
// the contacts of the last time are there.
func (f *findings) addressBooks(ctx context.Context, c *Config) {
	client, err := openCardDAV(c)
	switch {
	case err != nil:
		f.add(LevelError, "%v", err)
		return
	case client == nil:
		return
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	books, err := client.Books(ctx)
	if err != nil {
		f.add(LevelWarn, "carddav: the address books at %s can't be read, contacts stay as they are: %v", client.Origin(), err)
		return
	}
	f.add(LevelOK, "carddav: %s, address books: %d", client.Origin(), len(books))
}
