<?php
/**
 * Has WordPress write its own block into the .htaccess of the home address, as saving the permalink settings does.
 *
 * php permalinks.php FOLDER ADDRESS FILE
 */

require __DIR__ . '/load.php';
require ABSPATH . 'wp-admin/includes/admin.php';

// What a web server would say of the page with the settings, and of itself.
$_SERVER['SCRIPT_FILENAME'] = ABSPATH . 'wp-admin/options-permalink.php';
add_filter( 'got_rewrite', '__return_true' );

update_option( 'permalink_structure', '/%postname%/' );
$wp_rewrite->init();
if ( ! save_mod_rewrite_rules() || ! is_file( $argv[3] ) ) {
	fwrite( STDERR, "cannot write $argv[3]\n" );
	exit( 1 );
}
