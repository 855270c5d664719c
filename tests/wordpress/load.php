<?php
/**
 * Loads the WordPress of a test site as a request for its address would.
 *
 * Every script here starts so: php script.php FOLDER ADDRESS. No mail leaves, unless the script defines REAL_MAIL, and
 * no request either.
 */

error_reporting( E_ALL & ~E_DEPRECATED );
ini_set( 'display_errors', 'stderr' );
ini_set( 'log_errors', '0' );

if ( ! defined( 'REAL_MAIL' ) ) {
	/** Takes the place of WordPress's own function, which a site may replace. */
	function wp_mail( $to, $subject, $message, $headers = '', $attachments = array() ) {
		return true;
	}
}

/** Sets what a web server would tell PHP about a request for this address. */
function pretend_request( $address ) {
	$parts = parse_url( $address );

	$_SERVER['SERVER_PROTOCOL'] = 'HTTP/1.1';
	$_SERVER['REQUEST_METHOD']  = 'GET';
	$_SERVER['HTTP_HOST']       = $parts['host'];
	$_SERVER['SERVER_NAME']     = $parts['host'];
	$_SERVER['REQUEST_URI']     = $parts['path'] ?? '/';
	$_SERVER['PHP_SELF']        = '/index.php';
	$_SERVER['REMOTE_ADDR']     = '192.0.2.1';
}

list( , $folder, $address ) = $argv;
pretend_request( $address );
define( 'DISABLE_WP_CRON', true );
define( 'WP_HTTP_BLOCK_EXTERNAL', true );
require $folder . '/wp-config.php';

// Sooner than the constant above, which lets requests to the site itself pass.
add_filter(
	'pre_http_request',
	static function () {
		return new WP_Error( 'no_network', 'tests stay on this machine' );
	}
);
