<?php
/**
 * Turns an installed site into a network of sites in directories, with WordPress's own functions.
 *
 * php network.php FOLDER ADDRESS EMAIL
 */

// The functions for networks exist only where this is set; the tables come below.
define( 'WP_ALLOW_MULTISITE', true );
require __DIR__ . '/load.php';
require ABSPATH . 'wp-admin/includes/upgrade.php';
require ABSPATH . 'wp-admin/includes/network.php';

list( , , $address, $email ) = $argv;
foreach ( $wpdb->tables( 'ms_global' ) as $table => $prefixed ) {
	$wpdb->$table = $prefixed;
}
install_network();
$result = populate_network( 1, parse_url( $address, PHP_URL_HOST ), $email, 'Network', '/', false );
// A wildcard host name is a warning that only networks of sub-domains have; anything else is a failure.
if ( is_wp_error( $result ) ) {
	fwrite( STDERR, $result->get_error_message() . "\n" );
	exit( 1 );
}
