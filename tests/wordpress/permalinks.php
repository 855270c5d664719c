<?php
/**
 * Has WordPress write its own block into a .htaccess, as saving the permalink settings does.
 *
 * php permalinks.php FOLDER ADDRESS FILE
 */

require __DIR__ . '/load.php';
require ABSPATH . 'wp-admin/includes/admin.php';

update_option( 'permalink_structure', '/%postname%/' );
$wp_rewrite->init();
if ( ! insert_with_markers( $argv[3], 'WordPress', explode( "\n", $wp_rewrite->mod_rewrite_rules() ) ) ) {
	fwrite( STDERR, "cannot write $argv[3]\n" );
	exit( 1 );
}
