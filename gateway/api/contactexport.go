package api

import (
	"archive/zip"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"ticketgate/gateway/verify"
	"ticketgate/store"
	"ticketgate/threading"
)

// exportContact streams a zip archive: contact.json; tickets/NUMBER.json with
// the ticket, its activities and the deliveries to the person; below
// tickets/NUMBER/ACTIVITY the mail as it came (.eml) and the files; quarantine/
// alike. What fails in its middle leaves an archive without its end, which no
// program takes for a whole one.
func (a *api) exportContact(_ context.Context, c *call, in *OnThing) (*huma.StreamResponse, error) {
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		hc.SetHeader("Content-Type", "application/zip")
		hc.SetHeader("Content-Disposition", contentDisposition("attachment", "contact-"+in.ID+".zip"))
		hc.SetHeader("Content-Security-Policy", sandbox)
		hc.SetStatus(http.StatusOK)
		if hc.Method() == http.MethodHead {
			return
		}
		x := &contactExport{api: a, c: c, zip: zip.NewWriter(hc.BodyWriter())}
		if err := x.write(hc.Context(), in.ID); err != nil {
			a.Log.WarnContext(hc.Context(), "an export broke off", "request_id", requestID(hc.Context()), "contact", in.ID, "err", err)
			return
		}
		_ = x.zip.Close() // a client that is gone asks again
	}}, nil
}

// contactExport is one archive that is being written.
type contactExport struct {
	*api
	c   *call
	zip *zip.Writer
}

func (x *contactExport) write(ctx context.Context, id string) error {
	contact, err := view(ctx, x.DB, func(ctx context.Context, tx *store.Tx) (store.Contact, error) { return tx.Contact(ctx, id) })
	if err != nil {
		return err
	}
	if err := x.json("contact.json", contact.UpdatedAt, contactOf(contact)); err != nil {
		return err
	}
	return x.Desk.AboutContact(ctx, id, func(about threading.AboutContact) error {
		if about.Ticket.Number == 0 {
			return x.quarantine(ctx, about.Quarantined)
		}
		return x.ticket(ctx, about)
	})
}

// exportedTicket is one tickets/NUMBER.json.
type exportedTicket struct {
	Ticket     ticketShape     `json:"ticket"`
	Activities []activityShape `json:"activities"`
	Deliveries []deliveryShape `json:"deliveries"`
}

func (x *contactExport) ticket(ctx context.Context, about threading.AboutContact) error {
	out, err := view(ctx, x.DB, func(ctx context.Context, tx *store.Tx) (exportedTicket, error) {
		var out exportedTicket
		shapes, err := x.shapesOf(ctx, tx, x.c, []store.Ticket{about.Ticket})
		if err != nil {
			return out, err
		}
		out.Ticket = shapes[0]
		if out.Activities, err = activityShapes(ctx, tx, x.c, about.Activities); err != nil {
			return out, err
		}
		ids := make([]string, 0, len(about.Deliveries))
		for _, d := range about.Deliveries {
			ids = append(ids, d.ID)
		}
		attempts, err := tx.Attempts(ctx, ids...)
		for _, d := range about.Deliveries {
			out.Deliveries = append(out.Deliveries, deliveryOf(d, attempts[d.ID]))
		}
		return out, err
	})
	if err != nil {
		return err
	}
	number := strconv.FormatInt(about.Ticket.Number, 10)
	if err := x.json("tickets/"+number+".json", about.Ticket.UpdatedAt, out); err != nil {
		return err
	}
	for _, v := range about.Activities {
		if err := x.activity(ctx, "tickets/"+number+"/"+v.ID, v); err != nil {
			return err
		}
	}
	return nil
}

// activity adds the mail and the files of one. Names of files are the sender's:
// they stand in the JSON, and the archive numbers them.
func (x *contactExport) activity(ctx context.Context, path string, v store.Activity) error {
	if v.RawHash != "" {
		if err := x.mail(ctx, path, v.CreatedAt, v.Trace, v.RawHash); err != nil {
			return err
		}
	}
	files, err := view(ctx, x.DB, func(ctx context.Context, tx *store.Tx) (map[string][]store.Attachment, error) {
		return tx.Attachments(ctx, v.ID)
	})
	if err != nil {
		return err
	}
	for _, f := range files[v.ID] {
		data, err := x.DB.Blob(ctx, f.Hash)
		if err != nil {
			return err
		}
		if err := x.add(fmt.Sprintf("%s/%s.bin", path, f.ID), v.CreatedAt, data); err != nil {
			return err
		}
	}
	return nil
}

func (x *contactExport) quarantine(ctx context.Context, items []store.Quarantined) error {
	for _, q := range items {
		if err := x.json("quarantine/"+q.ID+".json", q.CreatedAt, quarantinedOf(q)); err != nil {
			return err
		}
		if q.RawHash == "" {
			continue
		}
		if err := x.mail(ctx, "quarantine/"+q.ID, q.CreatedAt, q.Trace, q.RawHash); err != nil {
			return err
		}
	}
	return nil
}

func (x *contactExport) mail(ctx context.Context, path string, at time.Time, trace, hash string) error {
	raw, err := x.DB.Blob(ctx, hash)
	if err != nil {
		return err
	}
	return x.add(path+".eml", at, append([]byte(trace), verify.Strip(raw, x.Hostname)...))
}

func (x *contactExport) json(path string, at time.Time, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return x.add(path, at, data)
}

func (x *contactExport) add(path string, at time.Time, data []byte) error {
	w, err := x.zip.CreateHeader(&zip.FileHeader{Name: path, Method: zip.Deflate, Modified: at.UTC()})
	if err == nil {
		_, err = w.Write(data)
	}
	return err
}
