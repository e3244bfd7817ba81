// Package activity measures on a worker whether anybody uses an instance: with
// SQL on a PostgreSQL server, a query to Prometheus or a metric of CloudWatch. It
// judges nothing: what a reading means is the domain's to say. The queries are
// the offering's; what differs between instances reaches them as arguments,
// never as text.
package activity
