package threading

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/klauspost/compress/zstd"

	"ticketgate/store"
)

// The person of these tests, and one word of what she writes.
const (
	carlas    = "carla.kunde@erased.example"
	carlaName = "Carla Kundewitz"
	secret    = "Zwetschgendatschi"
)

// traces are what must not be found of her anywhere.
func traces() []string {
	return []string{carlas, "carla.kunde", "Kundewitz", secret, "erased.example", "0171 9988776", "geheim-anhang"}
}

// erasedDesk is a desk on which Carla has written, and others with her.
func erasedDesk(t *testing.T) (*desk, store.Contact) {
	t.Helper()
	d := newDesk(t)
	return d, d.carla()
}

func (d *desk) carla() store.Contact {
	d.t.Helper()
	mail := "Content-Type: multipart/mixed; boundary=b\r\n"
	first := d.deliver(letter{from: carlaName + " <" + carlas + ">", subject: "About my " + secret, header: mail, id: "first@erased.example",
		body: "--b\r\nContent-Type: text/plain\r\n\r\nDear desk,\r\nmy " + secret + " burns.\r\nYours, Carla\r\n" +
			"--b\r\nContent-Type: text/html\r\nContent-Disposition: attachment; filename=geheim-anhang.html\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
			base64.StdEncoding.EncodeToString([]byte("<p>"+secret+"</p>")) + "\r\n--b--\r\n"})
	answer, err := d.AddActivity(d.ctx, d.anna, first.Ticket, NewActivity{Type: store.TypeOutgoing,
		Text: "Hello Carla,\nwe will look at it tomorrow.\n\n> my " + secret + " burns.\n"})
	if err != nil {
		d.t.Fatal(err)
	}
	d.deliver(letter{from: "Otto Other <otto@other.example>", subject: "Re: About my " + secret, id: "other@other.example",
		header: "In-Reply-To: <first@erased.example>\r\nReferences: <first@erased.example>\r\nCc: " + carlaName + " <" + carlas + ">\r\n",
		body:   "I saw smoke too.\r\n\r\n> my " + secret + " burns.\r\n"})
	d.deliver(letter{from: carlaName + " <" + carlas + ">", subject: "Re: About my " + secret, id: "second@erased.example",
		header: "In-Reply-To: <" + answer.MessageID + ">\r\n", body: "Thank you. The " + secret + " is out.\r\n"})
	if _, err := d.AddActivity(d.ctx, d.anna, first.Ticket, NewActivity{Type: store.TypeNote, Text: "Ms Kundewitz called from 0171 9988776."}); err != nil {
		d.t.Fatal(err)
	}
	// a ticket of somebody else that names her
	d.deliver(letter{from: "Nora <nora@third.example>", subject: "Her order", header: "Cc: " + carlas + "\r\n", body: "Please ask " + carlas + " about it.\r\n"})
	c := d.contactAt(carlas)
	d.update(func(ctx context.Context, tx *store.Tx) error {
		c.Phones, c.Provisional = []string{"0171 9988776"}, false
		if err := tx.PutContact(ctx, c); err != nil {
			return err
		}
		return tx.InsertQuarantined(ctx, store.Quarantined{ID: store.NewID(), Reason: "hops", EnvelopeFrom: carlas,
			From: []store.Address{{Name: carlaName, Address: carlas}}, Subject: secret, CreatedAt: d.now})
	})
	return c
}

// found tells which traces of a person stand in some bytes, as they are, in
// base64 or compressed.
func found(data []byte) []string {
	var all []string
	lower := bytes.ToLower(data)
	for _, trace := range traces() {
		if bytes.Contains(lower, bytes.ToLower([]byte(trace))) {
			all = append(all, trace)
		}
		for shift := range 3 { // what is the same of a word in base64, wherever it begins
			encoded := base64.StdEncoding.EncodeToString(append(make([]byte, shift), trace...))
			if inner := strings.TrimRight(encoded, "="); len(inner) > 12 && bytes.Contains(data, []byte(inner[4:len(inner)-2])) {
				all = append(all, "base64 of "+trace)
			}
		}
	}
	decoder, err := zstd.NewReader(nil)
	if err != nil {
		panic(err)
	}
	defer decoder.Close()
	for rest := data; ; {
		at := bytes.Index(rest, []byte{0x28, 0xb5, 0x2f, 0xfd}) // a frame begins
		if at < 0 {
			return all
		}
		rest = rest[at+4:]
		// What follows the frame is none: the decoder gives what came before.
		plain, _ := decoder.DecodeAll(append([]byte{0x28, 0xb5, 0x2f, 0xfd}, rest[:min(len(rest), 64<<10)]...), nil)
		if bytes.Contains(bytes.ToLower(plain), bytes.ToLower([]byte(secret))) {
			all = append(all, "a compressed text")
		}
	}
}

// files gives the bytes of all files below the folder of the desk's database.
func (d *desk) files() map[string][]byte {
	d.t.Helper()
	all := map[string][]byte{}
	err := filepath.WalkDir(d.dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		all[path], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return all
}

func TestEraseLeavesNothing(t *testing.T) {
	d, c := erasedDesk(t)
	before := 0
	for _, data := range d.files() {
		before += len(found(data))
	}
	if before < len(traces()) {
		t.Fatalf("the test finds %d traces while all are there", before)
	}
	e, err := d.EraseContact(d.ctx, d.admin, c.ID)
	if err != nil {
		t.Fatal(err)
	}
	for path, data := range d.files() {
		if all := found(data); len(all) > 0 {
			t.Errorf("%s still holds %v", filepath.Base(path), all)
		}
	}
	if e.Tickets != 3 || e.Activities != 2 || e.Attachments != 1 || e.Quarantined != 1 || e.Contacts != 1 || e.Deliveries != 1 || len(e.Hashes) < 3 || e.EndedAt.IsZero() {
		t.Errorf("the proof says %+v", e)
	}
	_, err = d.EraseContact(d.ctx, d.admin, c.ID)
	if !store.IsNotFound(err) {
		t.Errorf("once more: %v", err)
	}
}

// A subject of hers goes from the tickets that her mail lay in as well: one that it
// was split out of, and one that went into another.
func TestEraseSubjectsOfWhatWentElsewhere(t *testing.T) {
	d, c := erasedDesk(t)
	const number = 10001
	split, err := d.SplitActivity(d.ctx, d.anna, number, d.activities(number)[0].ID, Split{})
	if err != nil {
		t.Fatal(err)
	}
	merged := d.deliver(letter{from: carlaName + " <" + carlas + ">", subject: "More of " + secret, id: "third@erased.example", body: "x"}).Ticket
	into := d.deliver(letter{from: "Otto Other <otto@other.example>", subject: "Smoke", id: "smoke@other.example", body: "y"}).Ticket
	if _, err := d.Merge(d.ctx, d.admin, merged, into); err != nil {
		t.Fatal(err)
	}
	if _, err := d.EraseContact(d.ctx, d.admin, c.ID); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int64{number, split.Number, merged} {
		if got := d.ticket(n).Subject; got != erasedMark {
			t.Errorf("ticket %d is about %q", n, got)
		}
		for _, a := range d.activities(n) {
			if strings.Contains(a.Subject, secret) {
				t.Errorf("ticket %d: %q", n, a.Subject)
			}
		}
	}
	if got := d.ticket(into).Subject; got != "Smoke" {
		t.Errorf("of somebody else: %q", got)
	}
}

// What others wrote stays, without her and without what they quote of her.
func TestEraseKeepsWhatOthersWrote(t *testing.T) {
	d, c := erasedDesk(t)
	const number = 10001
	if _, err := d.EraseContact(d.ctx, d.admin, c.ID); err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, a := range d.activities(number) {
		texts = append(texts, string(a.Type)+": "+strings.TrimSpace(a.Text))
	}
	want := []string{
		"incoming: ", "outgoing: Hello [erased],\nwe will look at it tomorrow.\n\n[erased]", "incoming: ",
		"note: Ms [erased] called from [erased].",
	}
	if diff := cmp.Diff(want, texts); diff != "" {
		t.Error(diff)
	}
	if waiting := d.activities(number + 1)[0]; strings.TrimSpace(waiting.Text) != "I saw smoke too." || d.ticket(number+1).Subject != erasedMark {
		t.Errorf("what waits says %q about %q", waiting.Text, d.ticket(number+1).Subject)
	}
	skeleton := d.ticket(number)
	if skeleton.Subject != erasedMark || skeleton.ContactID != "" || skeleton.Files != 0 {
		t.Errorf("the skeleton: %+v", skeleton)
	}
	// A reply to her mail, whose id is gone, still finds its ticket.
	late := d.deliver(letter{from: "Otto Other <otto@other.example>", subject: "Late", header: "In-Reply-To: <second@erased.example>\r\n", body: "late"})
	d.view(func(ctx context.Context, tx *store.Tx) error {
		refs, err := tx.MessageRefs(ctx, store.RefQuery{IDs: []string{"second@erased.example"}})
		if len(refs) == 0 || refs[0].Ticket != number {
			t.Errorf("her mail leads to %+v; the late one went to %d", refs, late.Ticket)
		}
		return err
	})
}

// Bytes that another mail names as well stay.
func TestEraseKeepsSharedBytes(t *testing.T) {
	d := newDesk(t)
	logo := "Content-Type: multipart/mixed; boundary=b\r\n"
	body := "--b\r\nContent-Type: image/png\r\nContent-Disposition: attachment; filename=logo.png\r\n\r\nthe same logo\r\n--b--\r\n"
	d.deliver(letter{from: carlas, subject: "One", header: logo, body: body})
	other := d.deliver(letter{from: "nora@third.example", subject: "Two", header: logo, body: body})
	if _, err := d.EraseContact(d.ctx, d.admin, d.contactAt(carlas).ID); err != nil {
		t.Fatal(err)
	}
	a := d.activities(other.Ticket)[0]
	d.view(func(ctx context.Context, tx *store.Tx) error {
		files, err := tx.Attachments(ctx, a.ID)
		if err != nil || len(files[a.ID]) != 1 {
			t.Fatalf("files %v, %v", files, err)
		}
		if data, err := d.db.Blob(ctx, files[a.ID][0].Hash); err != nil || !bytes.Contains(data, []byte("the same logo")) {
			t.Errorf("the other's file: %q, %v", data, err)
		}
		if _, err := d.db.Blob(ctx, a.RawHash); err != nil {
			t.Errorf("the other's mail: %v", err)
		}
		return nil
	})
}

// breaking is a context that ends after it was asked for its end so many times:
// at each of the steps of an erasure in turn.
type breaking struct {
	context.Context
	left int
}

func (b *breaking) Err() error {
	if b.left--; b.left < 0 {
		return context.Canceled
	}
	return nil
}

// An erasure that broke off goes on, wherever that was: each call comes one step
// further than the one before.
func TestEraseGoesOn(t *testing.T) {
	d, c := erasedDesk(t)
	var e store.Erasure
	broke := 0
	for steps := 1; ; steps++ {
		var err error
		e, err = d.EraseContact(&breaking{Context: d.ctx, left: steps}, d.admin, c.ID)
		if err == nil {
			break
		}
		broke++
		if store.CodeOf(err) != store.CodeUnavailable || steps > 50 {
			t.Fatalf("step %d: %v", steps, err)
		}
	}
	for path, data := range d.files() {
		if all := found(data); len(all) > 0 {
			t.Errorf("%s still holds %v", filepath.Base(path), all)
		}
	}
	if e.Tickets != 3 || e.Activities != 2 || e.Attachments != 1 || e.Quarantined != 1 || e.Contacts != 1 || e.Deliveries != 1 {
		t.Errorf("the proof says %+v", e)
	}
	if broke < 4 {
		t.Errorf("it broke off %d times only", broke)
	}
}

// PostgreSQL keeps nothing either: each row of each table is looked at as text.
func TestEraseOnPostgreSQL(t *testing.T) {
	d, _ := twoNodes(t)
	c := d.carla()
	rows := d.dump()
	if before := found(rows); len(before) < len(traces())-1 {
		t.Fatalf("the test finds only %v while all is there", before)
	}
	if _, err := d.EraseContact(d.ctx, d.admin, c.ID); err != nil {
		t.Fatal(err)
	}
	if all := found(d.dump()); len(all) > 0 {
		t.Errorf("the tables still hold %v", all)
	}
}

// dump gives all rows of all tables of the desk's PostgreSQL; bytes are given as
// they are.
func (d *desk) dump() []byte {
	d.t.Helper()
	conn, err := pgx.Connect(d.ctx, d.url)
	if err != nil {
		d.t.Fatal(err)
	}
	defer conn.Close(d.ctx)
	names, err := conn.Query(d.ctx, `SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'`)
	if err != nil {
		d.t.Fatal(err)
	}
	tables, err := pgx.CollectRows(names, pgx.RowTo[string])
	if err != nil || len(tables) < 20 {
		d.t.Fatalf("tables %v, %v", tables, err)
	}
	var all bytes.Buffer
	for _, table := range tables {
		rows, err := conn.Query(d.ctx, `SELECT * FROM `+pgx.Identifier{table}.Sanitize())
		if err != nil {
			d.t.Fatal(err)
		}
		for rows.Next() {
			values, err := rows.Values()
			if err != nil {
				d.t.Fatal(err)
			}
			for _, v := range values {
				if data, ok := v.([]byte); ok {
					all.Write(data)
				} else {
					fmt.Fprintf(&all, "%v\n", v)
				}
			}
		}
		if err := rows.Err(); err != nil {
			d.t.Fatal(err)
		}
	}
	return all.Bytes()
}
