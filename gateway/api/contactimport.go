package api

import (
	"bytes"
	"context"
	"errors"
	"mime"

	"ticketgate/gateway/cards"
	"ticketgate/threading"
)

type importInput struct {
	DryRun      string `query:"dry_run" enum:"true,false" doc:"true: tell what would become of each, and keep nothing"`
	ContentType string `header:"Content-Type" doc:"text/csv or text/vcard"`
	RawBody     []byte `contentType:"text/csv"`
}

// importedShape tells what became of a list of contacts.
type importedShape struct {
	Added     int            `json:"added"`
	Changed   int            `json:"changed"`
	Unchanged int            `json:"unchanged"`
	Refused   []refusalShape `json:"refused" doc:"what was not taken; the others were"`
}

type refusalShape struct {
	Line   int    `json:"line" doc:"of the body, where the row or card begins"`
	Reason string `json:"reason"`
}

// importContacts takes a list over, some rows at a time: where it breaks off,
// those before are there, with a line in the audit log, and the same body may be
// sent again.
func (a *api) importContacts(ctx context.Context, _ *call, in *importInput) (*answer[importedShape], error) {
	format := cards.CSV
	if media, _, _ := mime.ParseMediaType(in.ContentType); media == "text/vcard" {
		format = cards.VCard
	}
	var lost error
	kept := func(threading.Imported) { lost = errors.Join(lost, a.DB.Update(ctx, writeAudit)) }
	dry := in.DryRun == "true"
	if dry {
		kept = func(threading.Imported) {}
	}
	done, err := cards.Import(ctx, format, bytes.NewReader(in.RawBody), a.Desk.NewImport(dry), kept)
	if err = errors.Join(err, lost); err != nil {
		return nil, err
	}
	out := importedShape{Added: done.Added, Changed: done.Changed, Unchanged: done.Unchanged, Refused: make([]refusalShape, 0, len(done.Refused))}
	for _, r := range done.Refused {
		out.Refused = append(out.Refused, refusalShape{Line: r.Line, Reason: r.Reason})
	}
	return &answer[importedShape]{Body: out}, nil
}
