// Package storetest is the one conformance suite that both drivers of the
// store pass. What it does not ask for, nobody may rely on.
package storetest

import (
	"context"
	"testing"
	"time"

	"ticketgate/store"
)

// Open makes an empty database and gives what opens a handle on it; each
// handle is as good as one of another process. The handles are closed, and the
// database removed, when the test ends.
type Open func(t *testing.T, opt store.Options) (handle func() *store.DB)

// Run holds a driver against the suite.
func Run(t *testing.T, open Open) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, Open)
	}{
		{"Update", testUpdate},
		{"UpdateInGroups", testGroups},
		{"UpdateOfTwoHandles", testHandles},
		{"View", testView},
		{"Closed", testClosed},
		{"Desk", testDesk},
		{"DeskConflicts", testDeskConflicts},
		{"DeskInUse", testDeskInUse},
		{"DeskOfTwoHandles", testDeskHandles},
		{"Tokens", testTokens},
		{"Sessions", testSessions},
		{"SessionsEnd", testSessionsEnd},
		{"Passwords", testPasswords},
		{"LoginLinks", testLoginLinks},
		{"TOTP", testTOTP},
		{"Attempts", testAttempts},
		{"AttemptsOfTwoHandles", testAttemptsOfTwoHandles},
		{"Audit", testAudit},
		{"Contacts", testContacts},
		{"EnsureContact", testEnsureContact},
		{"MergeContacts", testMergeContacts},
		{"MergeContactsThatCross", testCrossingMerges},
		{"ContactLookups", testContactLookups},
		{"Companies", testCompanies},
		{"CardSource", testCardSource},
		{"CardSourceRace", testCardSourceRace},
		{"BookCards", testBookCards},
		{"Tickets", testTickets},
		{"Participants", testParticipants},
		{"TicketLists", testTicketLists},
		{"TicketFilters", testTicketFilters},
		{"TicketVisibility", testTicketVisibility},
		{"TicketCounts", testTicketCounts},
		{"FindActivities", testFindActivities},
		{"Search", testSearch},
		{"SearchFollowsMoves", testSearchFollowsMoves},
		{"ListsReadEveryWay", testEveryWay},
		{"Activities", testActivities},
		{"Attachments", testAttachments},
		{"WhatWasDone", testWhatWasDone},
		{"Erasures", testErasures},
		{"TicketsNaming", testTicketsNaming},
		{"ForgottenMessageID", testForgottenMessageID},
		{"DeleteBlobs", testDeleteBlobs},
		{"DeleteLargeBlob", testDeleteLargeBlob},
		{"MessageRefs", testMessageRefs},
		{"MessageRefsOfANewsletter", testMessageRefsOfANewsletter},
		{"DeliveryKeys", testDeliveryKeys},
		{"DeliveryKeyRace", testDeliveryKeyRace},
		{"Quarantine", testQuarantine},
		{"Openings", testOpenings},
		{"Ledger", testLedger},
		{"LedgerClaims", testClaims},
		{"LedgerWaiting", testWaiting},
		{"LedgerChanges", testChanges},
		{"LedgerBounces", testBounces},
		{"LedgerLists", testLedgerLists},
		{"LedgerSealsInternal", testSealed},
		{"Blobs", testBlobs},
		{"FieldValues", testFieldValues},
		{"Reports", testReports},
		{"Levels", testLevels},
		{"Clocks", testClocks},
		{"Alarms", testAlarms},
		{"Times", testTimes},
		{"TicketFiles", testTicketFiles},
		{"Watchers", testWatchers},
		{"Digests", testDigests},
		{"Drafts", testDrafts},
		{"Uploads", testUploads},
		{"Views", testViews},
		{"Rules", testRules},
		{"RuleMarks", testRuleMarks},
		{"RuleDue", testRuleDue},
		{"IncomingMails", testIncomingMails},
		{"DKIMKeys", testDKIMKeys},
		{"Meta", testMeta},
		{"OddData", testOddData},
		{"Events", testEvents},
		{"EventPositions", testEventPositions},
		{"EventPruning", testEventPruning},
		{"EventsOfTwoHandles", testEventsOfTwoHandles},
		{"DeliveryEvents", testDeliveryEvents},
		{"Webhooks", testWebhooks},
		{"WebhookFeed", testWebhookFeed},
		{"WebhookOrder", testWebhookOrder},
		{"WebhookHealth", testWebhookHealth},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, open) })
	}
}

// txFunc is a transaction's work.
type txFunc = func(ctx context.Context, tx *store.Tx) error

// update commits fn, or ends the test.
func update(t *testing.T, db *store.DB, fn txFunc) {
	t.Helper()
	must(t, db.Update(t.Context(), fn))
}

// view runs fn with a transaction that reads, or ends the test.
func view(t *testing.T, db *store.DB, fn txFunc) {
	t.Helper()
	must(t, db.View(t.Context(), fn))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantCode checks the code of an error, and its reason where one is given.
func wantCode(t *testing.T, err error, code store.Code, reason string) {
	t.Helper()
	if store.CodeOf(err) != code || reason != "" && store.ReasonOf(err) != reason {
		t.Errorf("error %v (%s %s), want %s %s", err, store.CodeOf(err), store.ReasonOf(err), code, reason)
	}
}

// one opens a single handle.
func one(t *testing.T, open Open) *store.DB {
	t.Helper()
	return open(t, store.Options{})()
}

// noon is the time of everything in this suite; what comes later is said as
// minutes after it.
func noon(minutes int) time.Time {
	return time.Date(2026, 3, 1, 12, minutes, 0, 123456000, time.UTC)
}

// addTicket adds a ticket of the next number; change may be nil.
func addTicket(t *testing.T, db *store.DB, change func(*store.Ticket)) store.Ticket {
	t.Helper()
	var ticket store.Ticket
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		number, err := tx.NextNumber(ctx)
		if err != nil {
			return err
		}
		ticket = store.Ticket{Number: number, ID: store.NewID(), Kind: store.KindEmail, Subject: "Printer",
			Priority: store.PriorityNormal, ChannelID: "support", StatusID: "new", Version: 1,
			CreatedAt: noon(0), UpdatedAt: noon(0)}
		if change != nil {
			change(&ticket)
		}
		return tx.InsertTicket(ctx, ticket)
	})
	return ticket
}

// addActivity adds an activity to a ticket; change may be nil.
func addActivity(t *testing.T, db *store.DB, ticket int64, change func(*store.Activity)) store.Activity {
	t.Helper()
	a := store.Activity{ID: store.NewID(), Ticket: ticket, Type: store.TypeIncoming, Medium: store.MediumEmail,
		CreatedAt: noon(1), Sender: store.SenderParticipant}
	if change != nil {
		change(&a)
	}
	update(t, db, func(ctx context.Context, tx *store.Tx) error { return tx.InsertActivity(ctx, &a) })
	return a
}

// addAgent adds an agent whose id is also the local part of his address.
func addAgent(t *testing.T, db *store.DB, id, role string) {
	t.Helper()
	update(t, db, func(ctx context.Context, tx *store.Tx) error {
		return tx.PutAgent(ctx, store.Agent{ID: id, Name: id, Email: id + "@desk.example",
			Key: id + "@desk.example", Role: role, Active: true})
	})
}

// numbers gives the numbers of tickets.
func numbers(tickets []store.Ticket) []int64 {
	var all []int64
	for _, t := range tickets {
		all = append(all, t.Number)
	}
	return all
}
