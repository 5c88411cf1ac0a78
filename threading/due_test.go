package threading

import (
	"context"
	"database/sql"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"ticketgate/store"
)

// poison has the store refuse whatever is written about tickets up to a number.
func (d *desk) poison(number int64, table string) {
	d.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(d.dir, "desk.db"))
	if err != nil {
		d.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(d.ctx, `CREATE TRIGGER poison BEFORE INSERT ON `+table+`
		WHEN NEW.ticket <= `+strconv.FormatInt(number, 10)+` BEGIN SELECT RAISE(ABORT, 'poisoned'); END`); err != nil {
		d.t.Fatal(err)
	}
}

// A whole page of clocks that can't tell their time keeps none behind it from
// telling its own.
func TestClocksThatFailStarveNobody(t *testing.T) {
	d := newDesk(t)
	d.leveled()
	var last int64
	d.update(func(ctx context.Context, tx *store.Tx) error {
		for range timeBatch + 1 {
			number, err := tx.NextNumber(ctx)
			if err != nil {
				return err
			}
			last = number
			if err := tx.InsertTicket(ctx, store.Ticket{
				ID: store.NewID(), Number: number, Kind: store.KindEmail, ChannelID: d.channel.ID, StatusID: d.statusID(statusNew),
				Priority: store.PriorityNormal, CreatedAt: d.now, UpdatedAt: d.now, StatusAt: d.now, LastIncomingAt: d.now,
			}); err != nil {
				return err
			}
		}
		return nil
	})
	d.now = d.now.Add(time.Minute)
	d.keepTime() // gives them their clocks
	d.now = d.now.Add(50 * time.Minute)
	d.poison(last-1, "activities")
	d.keepTime()
	if told := d.stepsTold(last); len(told) != 1 || told[0] != stepRespondWarning {
		t.Errorf("behind a page of those that fail was told %v", told)
	}
}

// One alarm that can't go off keeps no other from it.
func TestAnAlarmThatFailsKeepsNoOther(t *testing.T) {
	d := newDesk(t)
	bad, good := d.open().Ticket, d.open().Ticket
	for i, number := range []int64{bad, good} {
		at := d.now.Add(time.Duration(i+1) * time.Minute)
		if _, err := d.PutAlarm(d.ctx, d.anna, number, "", NewAlarm{At: &at}); err != nil {
			t.Fatal(err)
		}
	}
	d.now = d.now.Add(time.Hour)
	d.poison(bad, "mails")
	d.keepTime()
	if told := d.toldNow(good); len(told) != 1 {
		t.Errorf("told %v", told)
	}
}
