// Package cards reads lists of contacts: CSV as spreadsheets and address books
// write it, and vCard 2.1 (the format of phones), 3.0 (RFC 2426) and 4.0
// (RFC 6350). A row or card that can't be read is given as a broken one, with
// the reason, and what follows is read all the same.
package cards

import (
	"context"
	"io"
	"iter"
	"path/filepath"
	"strings"

	"ticketgate/store"
	"ticketgate/threading"
)

// Format is a kind of file.
type Format string

// The formats.
const (
	CSV   Format = "csv"
	VCard Format = "vcf"
)

// FormatOf tells a file's format by its name. Error: invalid.
func FormatOf(name string) (Format, error) {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".csv", ".txt":
		return CSV, nil
	case ".vcf", ".vcard":
		return VCard, nil
	}
	return "", store.Invalid("file", "must end in .csv or .vcf")
}

// Read gives the cards of a file one after the other. An error ends it: of r, or
// invalid for what is no such file at all.
func Read(f Format, r io.Reader) iter.Seq2[threading.Card, error] {
	if f == VCard {
		return readVCards(r)
	}
	return readCSV(r)
}

// taker is what cards are imported with: *threading.Import.
type taker interface {
	Take(ctx context.Context, cards []threading.Card) (threading.Imported, error)
}

// Import takes all cards of a file, some at a time; each has its outcome when
// the store has it. tell is called after each of these steps, with what became
// of the file so far. Where it ends with an error, what was told is done, and the
// same file may be imported again.
func Import(ctx context.Context, f Format, r io.Reader, into taker, tell func(threading.Imported)) (threading.Imported, error) {
	var done threading.Imported
	batch := make([]threading.Card, 0, threading.ImportBatch)
	take := func() error {
		if len(batch) == 0 {
			return nil
		}
		some, err := into.Take(ctx, batch)
		if err != nil {
			return err
		}
		done, batch = done.Plus(some), batch[:0]
		tell(done)
		return nil
	}
	for card, err := range Read(f, r) {
		if err != nil {
			return done, err
		}
		if batch = append(batch, card); len(batch) < threading.ImportBatch {
			continue
		}
		if err := take(); err != nil {
			return done, err
		}
	}
	return done, take()
}
