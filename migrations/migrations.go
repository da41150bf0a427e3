// Package migrations holds the SQL that builds Orderport's database, one
// folder for each dialect.
package migrations
